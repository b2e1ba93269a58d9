"""``/``: the page and its files, whole, from here alone, and not sent again while they are the same."""

import re
from importlib import resources
from urllib.parse import urljoin

import httpx
import pytest

from globeco_allocation import __version__
from globeco_allocation.entrypoints.http.page import ASSETS

FOLDER = resources.files("globeco_allocation.entrypoints.http") / "static" / "page"
REFERENCES = re.compile(r"""(?:src|href)="([^"#]+)"|from "\./([^"]+)\"""")


async def test_the_page_may_do_nothing_but_what_it_needs(client: httpx.AsyncClient) -> None:
    page = await client.get("/")

    rules = [one.strip().partition(" ") for one in page.headers["content-security-policy"].split(";")]
    policy = {name: value for name, _, value in rules}
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_the_page_finds_all_its_files(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    found = {urljoin("/", one) for one, _ in REFERENCES.findall(page.text)}
    for name in ASSETS:
        text = (await client.get(f"/static/{name}")).text
        found |= {urljoin("/static/", one) for _, one in REFERENCES.findall(text) if one}

    assert {f"/static/{name}" for name in ASSETS} <= found
    for one in found:
        assert (await client.get(one)).status_code == 200, one


def test_every_file_of_the_page_is_served() -> None:
    assert {one.name for one in FOLDER.iterdir()} == {*ASSETS, "index.html"}


@pytest.mark.parametrize("name", ["index.html", "..%2fdocs.js", "docs.js", "api.js.map", "."])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/{name}")).status_code == 404


async def test_a_file_tells_its_type_and_nobody_guesses(client: httpx.AsyncClient) -> None:
    for name, media_type in ASSETS.items():
        answer = await client.get(f"/static/{name}")

        assert answer.headers["content-type"].startswith(media_type)
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/static/page.css"])
async def test_what_a_browser_has_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
    other = await client.get(path, headers={"If-None-Match": '"another"'})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert (other.status_code, other.content) == (200, first.content)


async def test_the_page_knows_its_version(client: httpx.AsyncClient) -> None:
    page = await client.get("/")

    assert f'<meta name="version" content="{__version__}">' in page.text
    assert "{version}" not in page.text


async def test_nothing_in_the_page_makes_markup_of_text_or_names_another_place(
    client: httpx.AsyncClient,
) -> None:
    sources = [(await client.get("/")).text]
    sources += [(await client.get(f"/static/{name}")).text for name in ASSETS]

    for source in sources:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", source
        )
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", source)
    assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", sources[0])
