"""From a search to a card, the card in 3D, and from one's copy to an auction that is bid on."""

import re
from collections.abc import Callable

import pytest
from browsers import Person
from cards import Curator
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]


def test_someone_with_a_keyboard_finds_a_card(person: People, curator: Curator):
    card = curator.card("Quillfeather Heron")
    curator.card("Quillfeather Shrike", rarity="mythic")
    ann = person()
    ann.page.goto("/browse")
    ann.page.get_by_label("Search cards").focus()
    ann.page.keyboard.type("quillfeather")
    expect(ann.page.get_by_role("status").get_by_text("2 cards")).to_be_visible()
    expect(ann.page).to_have_url(re.compile("q=quillfeather"))
    ann.page.get_by_role("button", name="Rare 1").press("Enter")
    expect(ann.page.locator(".cards a")).to_have_count(1)
    expect(ann.page).to_have_url(re.compile("rarity=rare"))
    ann.page.get_by_label("Search cards").focus()
    ann.page.keyboard.press("ArrowDown")
    expect(ann.page.locator(f"a[href='/cards/{card}']")).to_be_focused()
    ann.page.keyboard.press("Enter")
    expect(ann.page.get_by_role("heading", level=1)).to_have_text("Quillfeather Heron")

    ann.page.go_back()
    expect(ann.page.locator(".cards a")).to_have_count(1)
    ann.page.go_back()
    expect(ann.page.locator(".cards a")).to_have_count(2)
    expect(ann.page.get_by_label("Search cards")).to_have_value("quillfeather")


def test_the_card_turns_by_keys_and_by_pointer(person: People, curator: Curator):
    card, ann = curator.card("Turning Ibis"), person(reduced_motion="reduce", viewport={"width": 1280, "height": 1200})
    ann.page.goto(f"/cards/{card}")
    ann.page.get_by_role("button", name="Turn it in 3D").click()
    stage = ann.page.get_by_role("group", name="Turning Ibis in 3D, front in view")
    # A finger that moves up or down scrolls the page.
    assert stage.evaluate("stage => getComputedStyle(stage).touchAction") == "pan-y"
    ann.is_accessible()
    stage.focus()
    front = stage.screenshot()
    ann.page.keyboard.press("ArrowRight")
    expect(ann.page.locator(".viewer-stage")).to_have_attribute("data-degrees", "15")
    ann.page.keyboard.press("Enter")
    expect(ann.page.get_by_role("group", name="Turning Ibis in 3D, back in view")).to_be_visible()
    assert ann.page.locator(".viewer-stage").screenshot() != front
    # Centred: the header, which stays at the top, covers nothing of it.
    ann.page.locator(".viewer-stage").evaluate("stage => stage.scrollIntoView({block: 'center'})")
    box = ann.page.locator(".viewer-stage").bounding_box()
    assert box is not None
    ann.page.mouse.move(box["x"] + 50, box["y"] + box["height"] / 2)
    ann.page.mouse.down()
    ann.page.mouse.move(box["x"] + 120, box["y"] + box["height"] / 2, steps=5)
    ann.page.mouse.up()
    expect(ann.page.locator(".viewer-stage")).not_to_have_attribute("data-degrees", "195")


def test_without_webgl_the_picture_stays(person: People, curator: Curator):
    card, ann = curator.card("Flat Ibis"), person()
    ann.expects_refusals_of("/assets/")
    ann.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    ann.page.goto(f"/cards/{card}")
    ann.page.get_by_role("button", name="Turn it in 3D").click()
    ann.sees("3D is not available in this browser")


def test_a_copy_far_down_the_list_is_chosen_by_its_address(person: People, name: Name, curator: Curator):
    ann, called = person(), name("hoarder")
    card = curator.card("Plentiful Finch")
    ann.page.goto("/browse")
    ann.register(called)
    copies = curator.copies(card, called, 60)
    # Whichever end the list begins at, one of them is beyond its first page.
    for copy, serial in ((copies[0], 1), (copies[-1], 60)):
        ann.page.goto(f"/sell?copy={copy}")
        chosen = ann.page.locator(".copy-option").filter(has=ann.page.get_by_role("checkbox", checked=True))
        expect(chosen).to_have_count(1, timeout=20_000)
        expect(chosen).to_contain_text(f"No. {serial}")
        expect(ann.page.get_by_label("Title")).to_have_value(re.compile("Plentiful Finch"))


def test_what_one_lists_is_seen_and_bid_on_and_what_has_no_bid_can_be_cancelled(
    person: People, name: Name, curator: Curator
):
    seller, buyer, called = person(), person(), name("seller")
    card = curator.card("Auctioned Crane")
    seller.page.goto("/browse")
    seller.register(called)
    curator.copies(card, called, 2)
    seller.page.goto(f"/cards/{card}")
    seller.page.get_by_role("link", name="Sell it").first.click()
    expect(seller.page.get_by_label("Title")).to_have_value(re.compile("Auctioned Crane"))
    seller.page.get_by_label("Starting price").fill("20")
    seller.page.get_by_label("Reserve price").fill("10")
    seller.page.get_by_role("button", name="List it").click()
    seller.sees("The reserve must be at least the starting price.")
    seller.page.get_by_label("Reserve price").fill("40")
    expect(seller.page.get_by_role("row", name="You get")).to_have_text(re.compile(r"\$19\.00\s*\$38\.00"))
    seller.page.get_by_role("button", name="List it").click()
    expect(seller.page).to_have_url(re.compile("/auctions/"))
    auction = seller.page.url.rsplit("/", 1)[1]

    buyer.page.goto("/")
    buyer.page.get_by_role("button", name="Newest").click()
    buyer.page.locator(f"a[href='/auctions/{auction}']").click()
    buyer.register(name("buyer"))
    buyer.get_play_money()
    buyer.bid("50")
    buyer.sees("You lead.")
    seller.sees_price("$40.00")

    seller.page.goto("/sell")
    seller.page.get_by_role("checkbox", name="Auctioned Crane").check()
    seller.page.get_by_label("Starting price").fill("5")
    seller.page.get_by_role("button", name="List it").click()
    expect(seller.page).to_have_url(re.compile("/auctions/"))
    curator.sees_listed(called, 2)
    seller.page.goto("/listings")
    cancels = seller.page.get_by_role("button", name="Cancel Auctioned Crane")
    expect(cancels).to_have_count(1, timeout=20_000)
    cancels.click()
    seller.page.get_by_role("button", name="Yes, cancel it").click()
    seller.sees("The auction is cancelled.")
    expect(cancels).to_have_count(0, timeout=20_000)
