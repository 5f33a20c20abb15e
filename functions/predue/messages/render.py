"""One reminder in words: a lender's texts with a borrower's figures in them, in the borrower's locale."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from predue.borrowers.ports import RenderedMessage
from predue.domain.money import Money
from predue.domain.stage import StageKey
from predue.errors import TextMissing
from predue.messages.encoding import measure
from predue.messages.formatting import amount, day, inert, person, tail, web_address
from predue.messages.templates import TemplateSet, book, check_texts, locale_for, on_page, page

__all__ = ["Lender", "ReminderItem", "RenderedMessage", "check_texts", "locale_for", "render"]


@dataclass(frozen=True, slots=True)
class ReminderItem:
    """One installment in a reminder: `owed` is what is still to pay, `stage` the stage at which it is reminded."""

    loan_id: str
    installment_no: int
    due_date: date
    owed: Money
    stage: str


@dataclass(frozen=True, slots=True)
class Lender:
    """The lender as borrowers know it; `phone` is written as they should read it."""

    name: str
    phone: str = ""


def render(
    channel: str,
    locale: str,
    lines: Sequence[ReminderItem],
    *,
    name: str,
    lender: Lender,
    reference: str,
    unsubscribe_url: str = "",
    today: date,
) -> RenderedMessage:
    """Put a reminder about `lines` into words, in the channel's texts and the locale nearest to the borrower's.

    `today` is the borrower's local day, from which "tomorrow" is counted. The most urgent line chooses the words.
    Raises TextMissing, naming file, key and placeholder but never a value, for a missing text, an unknown placeholder,
    or a value that the text needs and that is empty or impossible.
    """
    if not lines:
        raise TextMissing(f"a {channel} reminder without an installment has nothing to say")
    texts = book(locale_for(locale), channel)
    lead = max(lines, key=_urgency)
    section = texts.section(lead.stage, lead.due_date, today)
    values = {
        **_line_values(texts, lead, locale, today),
        "lender": inert(lender.name),
        "reference": inert(reference),
        "unsubscribe_url": web_address(unsubscribe_url),
        "count": str(len(lines)),
        "lines": _listed(texts, lines, locale, today) if len(lines) > 1 else "",
        "greeting": _if_known(texts, "greeting", name=person(name)),
        "help": _if_known(texts, "help", phone=inert(lender.phone)),
    }
    return _whole_message(texts, section, values, several=len(lines) > 1)


def _whole_message(texts: TemplateSet, section: str, values: Mapping[str, str], *, several: bool) -> RenderedMessage:
    text = texts.fill(values, section, "many" if several else "one")
    body = texts.spelt(texts.fill({**values, "text": text}, "frame").strip())
    version = texts.version(section, page() if texts.channel == "email" else "")
    if texts.channel == "sms":
        size = measure(body)
        return RenderedMessage(version, texts.locale, body, segments=size.segments, encoding=size.encoding)
    if texts.channel == "email":
        subject = texts.fill(values, section, "many_subject" if several else "subject")
        return RenderedMessage(
            version, texts.locale, body, subject, _html_page(texts.locale, subject, body, values["unsubscribe_url"])
        )
    return RenderedMessage(version, texts.locale, body)


def _urgency(line: ReminderItem) -> tuple[int, str]:
    """Order lines as `record.most_urgent` does, so that the words fit the key that names the reminder."""
    key = StageKey(line.loan_id, line.installment_no, line.due_date, line.stage)
    return key.offset(), key.text()


def _line_values(texts: TemplateSet, line: ReminderItem, locale: str, today: date) -> dict[str, str]:
    return {
        "amount": amount(line.owed, texts.locale, locale, today),
        "due_date": day(line.due_date, texts.text("date"), texts.locale),
        "when": _when(texts, (line.due_date - today).days),
        "loan": tail(line.loan_id),
        "number": str(line.installment_no),
    }


def _when(texts: TemplateSet, days: int) -> str:
    """Put the distance to the due date into words; negative days lie behind."""
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}
    return texts.fill({"days": str(abs(days))}, "when", near.get(days, "before" if days > 0 else "after"))


def _listed(texts: TemplateSet, lines: Sequence[ReminderItem], locale: str, today: date) -> str:
    """List several installments by due date, as many as the texts' `most` allows, with a word for the rest."""
    ordered = sorted(lines, key=lambda line: (line.due_date, line.loan_id, line.installment_no))
    most = texts.most() or len(ordered)
    shown = [texts.fill(_line_values(texts, line, locale, today), "lines", "each") for line in ordered[:most]]
    if len(ordered) > most:
        shown.append(texts.fill({"rest": str(len(ordered) - most)}, "lines", "more"))
    return texts.text("lines", "between").join(shown)


def _if_known(texts: TemplateSet, part: str, **value: str) -> str:
    """Fill the known form of a part if its one value can be shown, else the unknown one; empty if it is not in use."""
    if part not in texts.data:
        return ""
    return texts.fill(value, part, "known" if all(value.values()) else "unknown")


def _html_page(locale: str, subject: str, body: str, link: str) -> str:
    """Write the same words as HTML; all is escaped after it was put together, so that no value can become a tag."""
    safe_link = html.escape(link)
    linked = html.escape(body)
    if link:
        linked = linked.replace(safe_link, f'<a href="{safe_link}">{safe_link}</a>')
    paragraphs = [paragraph.replace("\n", "<br>\n") for paragraph in linked.split("\n\n")]
    content = "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return on_page({"lang": locale, "subject": html.escape(subject), "content": content})
