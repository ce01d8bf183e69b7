"""A kind and an auction format that only tests know: importing this package makes them known to the process."""

from domain.kinds import register, register_format
from tests.kinds.first_price import FirstPrice
from tests.kinds.pot import PotRules

register(PotRules())
register_format(FirstPrice())
