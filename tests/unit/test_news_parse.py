"""Feeds as bytes: the recorded ones whole, broken ones as far as they go, hostile ones refused at little cost."""

# ruff: noqa: RUF001 - headlines are typeset with such characters
from __future__ import annotations

import contextlib
import gzip
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree, html

from cryptoviz.news import parse as parse_module
from cryptoviz.news import text as text_module
from cryptoviz.news.parse import FeedError, FeedProblem, parse, without_tracking
from cryptoviz.news.text import article_text, plain, plain_text, without_giants


def feed(*items: str, head: str = "", root: str = '<rss version="2.0">') -> bytes:
    inner = "".join(f"<item>{item}</item>" for item in items)
    return f"{head}{root}<channel><title>t</title>{inner}</channel></rss>".encode()


ITEM = "<title>A title</title><link>https://example.com/a</link><guid>1</guid>"

# The recorded feeds


def recorded(shared_data: Path) -> list[Path]:
    return sorted([*(shared_data / "rss").glob("*.xml"), *(shared_data / "rss" / "snapshots").glob("*.xml")])


def test_all_forty_recorded_feeds_give_their_entries(shared_data: Path) -> None:
    files = recorded(shared_data)
    parsed = [parse(file.read_bytes(), "application/rss+xml") for file in files]
    assert len(files) == 40
    assert sum(len(one.entries) for one in parsed) == 1376
    assert [file.name for file, one in zip(files, parsed, strict=True) if one.salvaged] == [
        "CoinDesk.20230816T155202+0800.5e203f9.xml",
        "CoinDesk.20230816T161822+0800.2452fc0.xml",
    ]
    for entry in (entry for one in parsed for entry in one.entries):
        assert entry.article_id
        assert entry.title
        assert entry.url.startswith("https://")
        assert "utm_" not in entry.url
        assert entry.published_at is not None
        assert not [tag for tag in entry.tags if not tag]
        assert len({tag.casefold() for tag in entry.tags}) == len(entry.tags)
        assert "<p" not in entry.summary + entry.content


def test_a_feed_that_is_not_well_formed_loses_nothing(shared_data: Path) -> None:
    """Two files have bare ampersands in links and guids; the next poll had them right."""
    broken, also, right = [
        parse(file.read_bytes()) for file in recorded(shared_data) if file.name.startswith("CoinDesk.20230816T1")
    ][:3]
    assert [len(one.entries) for one in (broken, also, right)] == [15, 15, 15]
    assert "not well-formed" in broken.salvaged
    assert not right.salvaged
    assert {(entry.article_id, entry.url) for entry in also.entries} & {
        (entry.article_id, entry.url) for entry in right.entries
    }
    known = {entry.article_id: entry for entry in right.entries}
    shared = [entry for entry in broken.entries if entry.article_id in known]
    assert len(shared) == 15
    assert [entry.digest for entry in shared] == [known[entry.article_id].digest for entry in shared]


def test_coindesks_summary_survives_the_empty_one_after_it(shared_data: Path) -> None:
    first = parse((shared_data / "rss" / "coindesk.xml").read_bytes()).entries[0]
    assert first.summary.startswith("The stablecoin issuer blacklisted a wallet")
    assert first.article_id == "a0b4a6ba-5569-4fef-940c-e402f9698d89"
    assert first.tags == ("Markets", "Circle", "Tether", "News")
    assert first.published_at == datetime(2026, 9, 25, 14, 41, 53, tzinfo=UTC)


def test_what_publishing_software_says_is_not_the_summary(shared_data: Path) -> None:
    magazine = parse((shared_data / "rss" / "bitcoinmagazine.xml").read_bytes()).entries[0]
    assert magazine.summary == (
        "The International Monetary Fund approved a $139 million disbursement to El Salvador "
        "but still wants it to scale back its Bitcoin project."
    )
    slate = parse((shared_data / "rss" / "cryptoslate.xml").read_bytes()).entries[0]
    assert slate.summary.endswith("It […]")
    assert slate.content.endswith("13 of them tied to crypto.")


def test_empty_tags_are_left_out(shared_data: Path) -> None:
    assert parse((shared_data / "rss" / "decrypt.xml").read_bytes()).entries[0].tags == ("Technology",)


# Entries


def entry(item: str, **options: str):
    [found] = parse(feed(item), **options).entries
    return found


def test_tags_are_clean() -> None:
    found = entry(
        ITEM + "".join(f"<category>{tag}</category>" for tag in ("", " ", "DeFi", "defi", " NFT ", "A&amp;B"))
    )
    assert found.tags == ("DeFi", "NFT", "A&B")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://a.com/x?utm_source=rss&utm_medium=rss", "https://a.com/x"),
        ("https://a.com/x?id=1&utm_source=rss&b=2#part", "https://a.com/x?id=1&b=2#part"),
        ("https://a.com/x?copy=1&UTM_Campaign=z&fbclid=q&gclid=", "https://a.com/x?copy=1"),
        ("https://a.com/?p=5&autumn_leaves=1", "https://a.com/?p=5&autumn_leaves=1"),
        (" https://a.com/x ", "https://a.com/x"),
    ],
)
def test_addresses_lose_what_only_counts_readers(url: str, clean: str) -> None:
    assert without_tracking(url) == clean
    escaped = url.replace("&", "&amp;")
    assert entry(f"<title>t</title><link>{escaped}</link><guid>1</guid>").url == clean


def test_a_guid_is_kept_as_it_is() -> None:
    guid = "https://a.com/?utm_source=rss&copy=1"
    assert entry(f"<title>t</title><guid>{guid.replace('&', '&amp;')}</guid>").article_id == guid


def test_without_a_guid_the_address_stands_for_it() -> None:
    assert entry("<title>t</title><link>https://a.com/x?utm_source=1</link>").article_id == "https://a.com/x"


def test_without_anything_of_its_own_the_words_stand_for_it() -> None:
    one, other = parse(feed("<title>a</title>", "<title>b</title>")).entries
    assert one.article_id.startswith("sha256:")
    assert one.article_id != other.article_id


def test_a_guid_too_long_for_a_key_is_replaced_by_its_digest() -> None:
    long = [entry(f"<title>t</title><guid>{'x' * 5000}{n}</guid>").article_id for n in (1, 1, 2)]
    assert long[0] == long[1] != long[2]
    assert all(len(article_id) < 50 for article_id in long)


def test_a_relative_address_is_made_whole() -> None:
    assert entry("<title>t</title><link>/x</link>", url="https://a.com/feed").url == "https://a.com/x"


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ("<pubDate>Wed, 16 Aug 2023 08:00:00 CEST</pubDate>", 6),
        ("<pubDate>mer., 16 août 2023 08:00:00</pubDate><dc:date>2023-08-16T08:00:00+02:00</dc:date>", 6),
        ("<pubDate>Wed, 16 Aug 2023 08:00:00 GMT</pubDate><dc:date>2023-08-16T09:00:00Z</dc:date>", 8),
        ("<dc:date>1692172800</dc:date>", 8),
    ],
)
def test_the_first_date_that_means_one_moment_counts(dates: str, expected: int) -> None:
    assert entry(ITEM + dates).published_at == datetime(2023, 8, 16, expected, tzinfo=UTC)


@pytest.mark.parametrize("date", ["", "<pubDate>yesterday</pubDate>", "<pubDate>Mon, 99 Foo 2023</pubDate>"])
def test_a_date_that_nobody_understands_is_none(date: str) -> None:
    assert entry(ITEM + date).published_at is None


def test_the_digest_changes_with_what_a_reader_sees() -> None:
    first = entry(ITEM).digest
    assert entry(ITEM.replace("https://example.com/a", "https://example.com/a?utm_source=x")).digest == first
    assert entry(ITEM + "<category>new</category>").digest == first
    changes = (ITEM.replace("A title", "B"), ITEM.replace("/a", "/b"), ITEM + "<description>d</description>")
    dated = ITEM + "<pubDate>Wed, 16 Aug 2023 06:12:13 GMT</pubDate>"
    assert len({first, *(entry(item).digest for item in (*changes, dated))}) == 5


def test_atom_is_a_feed_too() -> None:
    body = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title><entry><id>urn:1</id>
      <title>A &amp; B</title><link href="https://a.com/1"/><updated>2026-10-01T10:00:00Z</updated>
      <summary type="html">&lt;b&gt;x&lt;/b&gt;</summary>
      </entry></feed>"""
    [found] = parse(body, "application/atom+xml").entries
    assert (found.article_id, found.title, found.summary) == ("urn:1", "A & B", "x")
    assert found.published_at == datetime(2026, 10, 1, 10, tzinfo=UTC)


def test_characters_that_xml_has_not_are_no_reason_to_lose_a_feed() -> None:
    guid = "<guid>&#0;&#xD800;&#1114112;&#99999999999;x\0</guid>"
    [found] = parse(feed(f"<title>a\x0bb &#8217;&#x26;</title>{guid}")).entries
    assert found.title == "ab ’&"
    assert found.article_id == "\ufffd\ufffd\ufffd&#99999999999;x"


def test_prefixes_nobody_declared_mean_what_they_mean_elsewhere() -> None:
    found = parse(feed(ITEM + "<content:encoded>Long text</content:encoded><foo:bar x:y='1'>z</foo:bar>"))
    assert found.entries[0].content == "Long text"
    assert "not well-formed" in found.salvaged


# Entries that cannot be read

ODD = "<odd/>"
"""Stands for whatever makes feedparser raise: it lets errors of any kind out, some for valid extensions."""


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feedparser that breaks where ODD is."""
    right = parse_module._feedparser_entries

    def read(root: etree._Element, url: str) -> list[object]:
        if root.find(".//{*}odd") is not None:
            raise KeyError("where")
        return right(root, url)

    monkeypatch.setattr(parse_module, "_feedparser_entries", read)


@pytest.mark.usefixtures("fragile")
def test_an_entry_that_cannot_be_read_costs_itself_only() -> None:
    items = [ITEM.replace("1<", f"{number}<") + (ODD if number == 3 else "") for number in range(5)]
    found = parse(feed(*items))
    assert [entry.article_id for entry in found.entries] == ["0", "1", "2", "4"]
    assert found.unreadable == ("KeyError('where')",)


@pytest.mark.usefixtures("fragile")
def test_entries_read_alone_are_the_same_entries() -> None:
    """With the namespaces, languages and base addresses that their feed declares."""
    head = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://a.com/blog/"><title>t</title>"""
    item = """<entry><id>urn:{0}</id><title type="html">A &amp;lt;b&amp;gt;{0}&amp;lt;/b&amp;gt;</title>
      <link href="{0}"/><updated>2026-10-01T10:00:00Z</updated>{1}</entry>"""
    whole = parse((head + item.format(1, "") + item.format(2, "") + "</feed>").encode())
    alone = parse((head + item.format(1, "") + item.format(9, ODD) + item.format(2, "") + "</feed>").encode())
    assert alone.entries == whole.entries
    assert [entry.url for entry in alone.entries] == ["https://a.com/blog/1", "https://a.com/blog/2"]


@pytest.mark.usefixtures("fragile")
def test_a_feed_of_which_no_entry_can_be_read_says_why() -> None:
    with pytest.raises(FeedError, match="none of its 2 entries can be read: KeyError") as caught:
        parse(feed(ITEM + ODD, ODD))
    assert caught.value.reason is FeedProblem.UNREADABLE


# Charsets


@pytest.mark.parametrize(
    ("declared", "header", "actual", "salvaged"),
    [
        ("utf-8", "", "utf-8", False),
        ("", "", "utf-8", False),
        ("", "application/xml; charset=windows-1252", "cp1252", False),
        ("iso-8859-1", "text/xml; charset=utf-8", "latin-1", False),
        ("utf-16", "", "utf-16", False),
        ("utf-8", "", "cp1252", True),
        ("ascii", "", "utf-8", True),
        ("klingon", "", "utf-8", True),
        ("zip", "", "utf-8", True),
        ("punycode", "", "utf-8", True),
    ],
)
def test_the_right_charset_is_found(declared: str, header: str, actual: str, salvaged: bool) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    body = feed(ITEM.replace("A title", "Café"), head=head).decode().encode(actual)
    found = parse(body, header)
    assert found.entries[0].title == "Café"
    assert bool(found.salvaged) is salvaged


# What is refused

DECLARED = '<!DOCTYPE rss [<!ENTITY site "A site">]>'


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        (b"", "application/rss+xml", FeedProblem.EMPTY),
        (b" \n\t", "application/rss+xml", FeedProblem.EMPTY),
        (feed(ITEM), "image/png", FeedProblem.CONTENT_TYPE),
        (feed(ITEM), "application/json", FeedProblem.CONTENT_TYPE),
        (b"<!doctype html><html><body>Just a moment</body></html>", "text/html", FeedProblem.HTML_PAGE),
        (b"<html>\n<head>", "application/rss+xml", FeedProblem.HTML_PAGE),
        (b'{"error": 1}', "text/plain", FeedProblem.NOT_A_FEED),
        (b"\x00\x01\x02\x03", "", FeedProblem.NOT_A_FEED),
        (b"<rss", "", FeedProblem.NOT_A_FEED),
        (feed(), "", FeedProblem.NO_ENTRIES),
        (feed(ITEM.replace("A title", "&site;"), head=DECLARED), "", FeedProblem.ENTITIES),
        (feed(ITEM, head=f"<?xml version='1.0'?> <!-- <rss> --> {DECLARED}"), "", FeedProblem.ENTITIES),
        (feed(ITEM, head=DECLARED).decode().encode("utf-16"), "", FeedProblem.ENTITIES),
    ],
)
def test_what_is_no_feed_is_refused_with_its_reason(body: bytes, content_type: str, problem: FeedProblem) -> None:
    with pytest.raises(FeedError) as caught:
        parse(body, content_type)
    assert caught.value.reason is problem


@pytest.mark.parametrize(
    ("limit", "highest", "more"),
    [
        ("MAX_MARKS", 40, "<title>" + "&" * 40 + "</title>"),
        ("MAX_ENTRIES", 3, "</item><item>" * 3),
        ("MAX_ELEMENTS", 20, "<category>a</category>" * 20),
        ("MAX_ATTRIBUTES", 4, "<a b='1' c='2' d='3' e='4' f='5'/>"),
    ],
)
def test_a_feed_that_is_beyond_a_limit_is_refused_before_it_is_parsed(
    limit: str, highest: int, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parse_module, limit, highest)
    assert len(parse(feed(ITEM)).entries) == 1
    with pytest.raises(FeedError) as caught:
        parse(feed(ITEM + more))
    assert caught.value.reason is FeedProblem.TOO_COMPLEX


def test_a_document_type_that_declares_nothing_is_harmless() -> None:
    head = '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://my.netscape.com/rss-0.91.dtd">'
    assert len(parse(feed(ITEM, head=head)).entries) == 1


def test_a_file_is_never_read(tmp_path: Path) -> None:
    """feedparser opens what it is given as a file, if there is one of that name."""
    secret = tmp_path / "secret.xml"
    secret.write_bytes(feed(ITEM))
    with pytest.raises(FeedError, match="not_a_feed"):
        parse(str(secret).encode())


def test_entities_of_html_are_no_declarations() -> None:
    assert entry(ITEM.replace("A title", "A&nbsp;B &eacute;&#8217;")).title == "A B é’"


def test_a_large_feed_costs_little() -> None:
    """As long as real ones get: a few hundred entries with their text."""
    item = (
        ITEM
        + "<description><![CDATA["
        + "<p>Some words of a story &amp; a <b>number</b></p>" * 20
        + "]]></description>"
    )
    body = feed(*(item.replace("<guid>1", f"<guid>{number}") for number in range(300)))
    began = time.process_time()
    assert len(parse(body).entries) == 300
    assert time.process_time() - began < 5


@given(st.binary(max_size=500), st.booleans())
@example(b"&#xD800;", True)
@example(b"<guid>&#xD800;</guid>", True)
def test_any_bytes_are_parsed_or_refused(body: bytes, wrapped: bool) -> None:
    with contextlib.suppress(FeedError):
        parse(feed("x<title>y</title>").replace(b"x", body) if wrapped else body)


# Text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("plain  text\n here", "plain text here"),
        ("<p>One</p><p>Two<br>Three</p>", "One Two Three"),
        ("Bit<b>coin</b>’s", "Bitcoin’s"),
        ("a < b & c, BTC <$60K", "a < b & c, BTC <$60K"),
        ("x<script>z</script><style>b{}</style>y<!-- z -->", "xy"),
        ("&#8220;A&amp;B&#8221;&nbsp;&hellip;", "“A&B” …"),
        ("a\x00b\u200bc\ufeffd\x07e", "abcde"),
        ("</div>out<p>of order", "out of order"),
        ("\ud800&#xD800;&#0;", "\ufffd\ufffd"),
        ("<!DOCTYPE html><html><head><title>T</title></head><body><p>A</p> page</body></html> more", "A page more"),
        ("<!DOCTYPE html>A &amp; B", "A & B"),
        ("<html lang=en>A page", "A page"),
        ("a</body>b</html>c", "a b c"),
        ("<html></html>", ""),
        ("<!doctype html>", ""),
        ("<html><frameset></frameset></html>", ""),
        ("", ""),
    ],
)
def test_markup_becomes_text(markup: str, text: str) -> None:
    assert plain(markup) == text


def test_text_is_cut_at_a_word() -> None:
    assert plain_text("one two three", 9) == "one two"
    assert plain_text("one two", 7) == "one two"
    assert plain_text("x" * 50, 10) == "x" * 10


PAGE = """<html><head><title>T</title></head><body><nav>Home Markets Prices Learn</nav><article><h1>Bitcoin rises</h1>
{}</article><aside>Subscribe to our newsletter</aside><footer>Copyright</footer></body></html>"""
PARAGRAPHS = "".join(
    f"<p>Paragraph {n} of the story says something about bitcoin and the market, in whole sentences.</p>"
    for n in range(6)
)


def page_text(page: bytes, content_type: str = "text/html", longest: int = 10_000) -> str:
    return article_text(page, content_type, "https://a.com/x", longest)


def test_the_text_of_a_page_is_found() -> None:
    found = page_text(PAGE.format(PARAGRAPHS).encode())
    assert "Paragraph 0 of the story" in found
    assert "Paragraph 5 of the story" in found
    assert "newsletter" not in found
    assert len(page_text(PAGE.format(PARAGRAPHS).encode(), longest=100)) <= 100


@pytest.mark.parametrize(
    ("head", "content_type", "charset"),
    [
        ("", "text/html", "utf-8"),
        ("", "text/html; charset=windows-1252", "cp1252"),
        ('<meta charset="iso-8859-1">', "text/html", "latin-1"),
        ("", "text/html", "utf-16"),
    ],
)
def test_the_charset_of_a_page_is_found(head: str, content_type: str, charset: str) -> None:
    page = PAGE.replace("<head>", f"<head>{head}").format(PARAGRAPHS.replace("bitcoin", "Café"))
    assert "about Café and" in page_text(page.encode(charset), content_type)


@pytest.mark.parametrize("page", [b"", b"\x00\xff", b"{}", b"<html></html>", gzip.compress(PAGE.encode())])
def test_a_page_without_an_article_has_no_text(page: bytes) -> None:
    assert page_text(page) == ""


def test_a_page_of_too_many_elements_has_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.format(PARAGRAPHS).encode()
    monkeypatch.setattr(text_module, "MAX_ELEMENTS", 30)
    assert page_text(page)
    assert page_text(page.replace(b"</article>", b"<br>" * 30 + b"</article>")) == ""


def test_markup_is_looked_at_up_to_a_point_and_without_the_longest_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MAX_MARKUP", 100)
    monkeypatch.setattr(text_module, "MAX_TAG", 40)
    assert plain("<b>word</b> " * 20) == " ".join([*["word"] * 8, "w"])
    assert (
        plain("<p " + " ".join(f"a{number}=1" for number in range(10)) + ">one</p><p class='two'>two</p>") == "one two"
    )


SOUP = st.lists(st.sampled_from([*"ab='\"<>/ \n", "a='>'", 'b=">"', "=='"]), max_size=8).map("".join)


@given(SOUP, SOUP, st.sampled_from(["{soup}a{n}=", "{soup} a{n} ", "a{n}='{soup}' ", "a{n}={soup} "]))
@example("=='>b", "a'", "{soup} a{n} ")
@example("a=x' ", "'>'", "a{n}={soup} ")
def test_no_soup_of_quotes_hides_a_giant_tag(before: str, soup: str, attribute: str) -> None:
    """libxml2 compares each attribute of a tag with all before it."""
    many = "".join(attribute.format(n=number, soup=soup) for number in range(100))
    tree = html.document_fromstring("<html><body>" + without_giants(f"<p {before}{many}>x</p>", 150) + "<i>y</i>")
    assert max(len(element.attrib) for element in tree.iter(etree.Element)) <= 75


def test_ordinary_tags_are_left_alone() -> None:
    markup = """<p class="a > b" title='x'>1 < 2 <img src=a.png alt="it's"/> don't</p>"""
    assert without_giants(markup) == markup
