"""``recover`` puts texts back to the character."""

import pytest
from tests.recovery.place import Place


@pytest.mark.parametrize("text", ["a\rb", "\r", 'the "A"', "a,b", "a\nb", " ", "\\.", "NULL"])
def test_texts_come_back_as_they_were(place: Place, text: str) -> None:
    place.back_up()
    place.keep_keys([1, 2], destination=text, ticker=text, limit_price=None)
    place.send()
    place.lose_and_restore()

    said = place.run("--apply")
    assert said.code == 0, said
    place.check()
