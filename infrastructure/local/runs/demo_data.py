"""Where the borrowers of the bundled portfolio live, and what they are called and reached by.

Every contact point is from a range reserved for examples: US `555-01NN` numbers, ACMA's fictional mobiles, and the
domains of RFC 2606. Where no mobile number is reserved, there is only email (Ofcom's drama mobiles are none to
libphonenumber, and its London ones are fixed lines).
"""

from typing import NamedTuple


class DemoPlace(NamedTuple):
    """Where borrowers live; `phone` is an area code, `AU`, or empty where no numbers are reserved."""

    zone: str
    jurisdiction: str
    phone: str
    locales: tuple[str, ...]
    currency: str
    share: int


_US_LOCALES = ("en-US", "en-US", "en-US", "es-US", "zh-CN")
PLACES = (
    DemoPlace("America/New_York", "US-NY", "212", _US_LOCALES, "USD", 10),
    DemoPlace("America/New_York", "US-FL", "305", _US_LOCALES, "USD", 7),
    DemoPlace("America/Chicago", "US-TX", "214", _US_LOCALES, "USD", 9),
    DemoPlace("America/Chicago", "US-IL", "312", _US_LOCALES, "USD", 5),
    DemoPlace("America/Denver", "US-CO", "303", _US_LOCALES, "USD", 4),
    DemoPlace("America/Phoenix", "US-AZ", "602", _US_LOCALES, "USD", 5),
    DemoPlace("America/Los_Angeles", "US-CA", "213", _US_LOCALES, "USD", 10),
    DemoPlace("Pacific/Honolulu", "US-HI", "808", _US_LOCALES, "USD", 4),
    DemoPlace("Europe/London", "GB", "", ("en-GB",), "GBP", 8),
    DemoPlace("Europe/Madrid", "ES", "", ("es-ES", "es-ES", "en-GB"), "EUR", 5),
    DemoPlace("Asia/Shanghai", "CN", "", ("zh-CN",), "CNY", 8),
    DemoPlace("Asia/Kolkata", "IN", "", ("en-GB",), "INR", 7),
    DemoPlace("Asia/Kathmandu", "NP", "", ("en-GB",), "NPR", 3),
    DemoPlace("Australia/Adelaide", "AU-SA", "AU", ("en-GB",), "AUD", 4),
    DemoPlace("America/Mexico_City", "MX", "", ("es-MX",), "MXN", 6),
)
AMOUNT_SCALE = {"INR": 60, "NPR": 90, "MXN": 18, "CNY": 7}
# Numbers that the ACMA keeps for use in fiction: +61 491 57x xxx.
_ACMA = (
    "570006 570156 570157 570158 570159 570110 570313 570737 571266 571491 571804 572549 572665 572983 573770 "
    "573087 574118 574632 575254 575789 576398 576801 577426 577644 578888 578957 579212 579455 579760"
)
AU_NUMBERS = tuple(_ACMA.split())
# How many numbers a US area code keeps for examples.
US_NUMBERS = 100
FIRST_NAMES = {
    "en": "Ana Ben Chloë Dan Eve Femi Grace Hugo Inés Kofi Lena Noah Olga Priya Quinn Rosa Sam Tara Vera Zoë",
    "es": "Alba Bruno Carmen Diego Elena Iñaki Lucía Mateo Nuria Óscar Paula Raúl Sofía Tomás",
    "zh": "伟 芳 娜 敏 静 丽 强 磊 洋 艳",
}
LAST_NAMES = {
    "en": "Abara Brooks Chen Diaz Evans Fischer Haider Ito Jones Kim Moore Nguyen O'Neill Okafor Patel Smith Tran Wong",
    "es": "Álvarez Castro Domínguez Flores García Ibáñez Jiménez López Muñoz Núñez Ortiz Reyes Vega",
    "zh": "王 李 张 刘 陈 杨 赵 黄 周 吴",
}
DOMAINS = ("example.com", "example.com", "example.org", "example.net")
