# What says that a call of asyncpg's has no time limit: None takes the connection's.

from typing import Final, final

@final
class NoTimeout: ...

NO_TIMEOUT: Final[NoTimeout]
