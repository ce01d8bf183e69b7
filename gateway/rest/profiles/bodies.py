"""What clients send about profiles, preferences and follows, and what they get. Times in milliseconds."""

import zoneinfo
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.ids import id_text
from domain.money import AMOUNT_MAX
from domain.users import is_reserved
from gateway.rest.ledger.bodies import CurrencyCode
from gateway.rest.text import LINE, LINES
from persistence.notifications.preferences import DEFAULTS
from persistence.profiles.activities import Activity
from persistence.profiles.follows import Follow
from persistence.profiles.profiles import FoundUser, Profile


def _zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError("this is no time zone of the IANA database")
    return name


def _display_name(name: str) -> str:
    if is_reserved("".join(name.split())):
        raise ValueError("this name is reserved")
    return name


_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
QuietTime = Annotated[str, Field(pattern=_CLOCK, examples=["22:30"], description="No push messages in these hours")]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ProfileChange(_Body):
    """What is missing stays; null removes it. ``avatar`` is the id of an uploaded image."""

    display_name: Annotated[
        Annotated[str, Field(min_length=1, max_length=40), LINE, AfterValidator(_display_name)] | None, Field()
    ] = None
    bio: Annotated[str, Field(min_length=1, max_length=500), LINES] | None = None
    avatar: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9]+$")] | None = None


class PreferencesChange(_Body):
    """What is missing stays."""

    locale: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$", max_length=20)] = "en"
    time_zone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"]), AfterValidator(_zone)] = "UTC"
    currency: CurrencyCode = "USDC"
    private_collection: Annotated[
        bool,
        Field(description="Others see no list of the copies, nor their number. Each card goes on to name its owners"),
    ] = False
    private_follows: Annotated[bool, Field(description="The profile has no numbers of follows")] = False
    private_wins: Annotated[bool, Field(description="Others don't see which auctions one has won")] = False
    quiet_from: QuietTime | None = None
    quiet_until: QuietTime | None = None
    confirm_bids_above: Annotated[
        int | None,
        Field(ge=0, le=AMOUNT_MAX, description="Clients ask before they send a higher bid; null: they never ask"),
    ] = None


class PreferencesBody(BaseModel):
    """What was set, or the defaults."""

    locale: str
    time_zone: str
    currency: str
    private_collection: bool
    private_follows: bool
    private_wins: bool
    quiet_from: str | None
    quiet_until: str | None
    confirm_bids_above: int | None


class ChannelsBody(_Body):
    """By which channels a kind of notification is sent."""

    in_app: bool
    email: bool
    push: bool


class ChannelsChange(_Body):
    """The channels of a kind. Without ``push`` that one stays as it is."""

    in_app: bool
    email: bool
    push: bool | None = None


class NotificationPreferencesBody(BaseModel):
    """Every kind of notification, with its channels."""

    kinds: dict[str, ChannelsBody]


class NotificationChange(_Body):
    """The kinds to change; the others stay."""

    kinds: Annotated[dict[str, ChannelsChange], Field(max_length=len(DEFAULTS))]

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.kinds.keys() <= DEFAULTS.keys():
            raise ValueError("there is no such kind of notification")
        return self


class Counts(BaseModel):
    """10,000 stands for that many or more; null is not shown."""

    copies: int | None
    followers: int | None
    following: int | None
    trades: int
    sales: int


class ProfileBody(BaseModel):
    """A user, as everybody may see them."""

    id: str
    username: str
    display_name: str | None
    bio: str | None
    avatar: Annotated[str | None, Field(description="The id of an image: `GET /content/{cid}`")]
    joined_at: int
    counts: Counts


class FoundUserItem(BaseModel):
    """A user, as a search finds them."""

    id: str
    username: str
    display_name: str | None
    avatar: str | None


class FoundUsers(BaseModel):
    """In the order of their names: one whose whole name was given is the first."""

    items: list[FoundUserItem]


class FollowItem(BaseModel):
    """A user, and since when they follow or are followed."""

    id: str
    username: str
    at: int


class FollowPage(BaseModel):
    """A page of follows, the newest first."""

    items: list[FollowItem]
    next_cursor: str | None


class ActivityUser(BaseModel):
    """Whose act it is."""

    id: str
    username: str


class ActivityItem(BaseModel):
    """One act. ``subject`` is an auction, a trade, an order of mints, or, of ``followed``, a user."""

    id: str
    user: ActivityUser
    kind: Literal["listed", "sold", "won", "minted", "traded", "followed"]
    at: int
    subject: str
    title: Annotated[str | None, Field(description="Of the auction")]
    username: Annotated[str | None, Field(description="Of whom the user followed")]


class ActivityPage(BaseModel):
    """A page of acts, the newest first."""

    items: list[ActivityItem]
    next_cursor: str | None


def activity_json(row: Activity) -> dict[str, Any]:
    """An ActivityItem."""
    return {
        "id": id_text(row.id), "user": {"id": id_text(row.user), "username": row.username}, "kind": row.kind,
        "at": row.at, "subject": id_text(row.subject), "title": row.title, "username": row.other,
    }  # fmt: skip


def profile_json(profile: Profile) -> dict[str, Any]:
    """A ProfileBody."""
    return {
        "id": id_text(profile.user), "username": profile.username, "display_name": profile.display_name,
        "bio": profile.bio, "avatar": profile.avatar, "joined_at": profile.joined_at,
        "counts": {
            "copies": profile.copies, "followers": profile.followers, "following": profile.following,
            "trades": profile.trades, "sales": profile.sales,
        },
    }  # fmt: skip


def found_json(found: FoundUser) -> dict[str, Any]:
    """A FoundUserItem."""
    names = ("username", "display_name", "avatar")
    return {"id": id_text(found.user), **{name: getattr(found, name) for name in names}}


def follow_json(follow: Follow) -> dict[str, Any]:
    """A FollowItem."""
    return {"id": id_text(follow.user), "username": follow.username, "at": follow.at}
