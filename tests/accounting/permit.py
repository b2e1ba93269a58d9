"""Whoever ordered a run, as a runner sees them."""

from globeco_allocation.domain.errors import AllocationError


class Permit:
    """Lets a run begin, or does not, and keeps what it was told.

    Attributes:
        told: ``begin`` and the uids, in their order.
        refusal: What `begin` raises, if anything.
        loss: What `identified` raises, if anything.
    """

    def __init__(
        self, *, refusal: AllocationError | None = None, loss: AllocationError | None = None
    ) -> None:
        self.told: list[str] = []
        self.refusal = refusal
        self.loss = loss

    async def begin(self) -> None:
        self.told.append("begin")
        if self.refusal is not None:
            raise self.refusal

    async def identified(self, uid: str) -> None:
        self.told.append(uid)
        if self.loss is not None:
            raise self.loss

    @property
    def begun(self) -> int:
        return self.told.count("begin")
