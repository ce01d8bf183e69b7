"""Masks contact data in messages: e-mail addresses, phone numbers, links, handles of messengers."""

import re

MASK = "•••"
PASSES_MAX = 10

_NAMES = "telegram|whatsapp|discord|signal|skype|wechat|instagram|insta|snapchat|viber|kik|tg|ig"
_LINKS = r"t\.me|wa\.me|m\.me|line\.me|telegram\.me|signal\.me|chat\.whatsapp\.com|discord\.gg|discord\.com"
# Every repetition is bounded, so that the time for a text of the greatest length is, too.
_CONTACT = re.compile(
    r"(?:https?://|www\.)\S{1,500}"
    rf"|\b(?:{_LINKS})/\S{{1,200}}"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
    r"|[\w.+-]{1,64} ?[(\[] ?at ?[)\]] ?[\w-]{1,63}(?: ?(?:\.|[(\[] ?dot ?[)\]]) ?[\w-]{1,63}){1,4}"
    rf"|\b(?:{_NAMES})\b ?[:=@] ?@?[\w.#+-]{{2,64}}"
    r"|\b\w{2,32}#\d{4}\b"
    r"|(?<![\w@])@[a-z]\w{3,31}"
    r"|(?<!\w)(?:\+|00)\d(?:[ ().\-/]{0,2}\d){6,14}(?!\w)"
    r"|(?<!\w)\(?\d(?:[ ().\-/]{0,2}\d){8,14}(?!\w)",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """The text with ``MASK`` in place of each contact; masked again, it stays the same."""
    for _ in range(PASSES_MAX):
        # What stands next to a mask may be seen as a contact only now.
        found = _CONTACT.sub(MASK, text)
        if found == text:
            break
        text = found
    return text
