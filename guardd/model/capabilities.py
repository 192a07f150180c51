"""What a venue can do, as data: nobody outside its dialect asks for its name."""

from msgspec import Struct


class Capabilities(Struct, frozen=True, kw_only=True):
    whole_position_protection: bool
    """Takes a stop-loss or take-profit that follows the whole position."""
    sized_protection: bool
    """Takes one for a given size."""
    plan_protection: bool
    """Takes a plain reduce-only conditional order as a last form of stop."""
    modify_protection: bool
    """Can move a resting stop without ending it."""
    modify_size: bool = False
    """Can give a resting stop for a size another one without ending it."""
    several_whole_stops: bool
    """Lets two whole-position stops of one kind rest on one position at once."""
    client_id_on_plan: bool
    """A plain plan order carries our client id."""
    add_margin: bool
    set_leverage: bool
    top_up: bool
    cross_liquidation_price: bool
    """Gives a liquidation price for cross positions."""
    close_sides_follow_mode: bool = True
    """The wire form of a closing order hangs on the position mode: nothing can be sent before that was read."""
    positions_repeated: bool = False
    """The stream shows each position again and again while it is held; else only when it changes."""
    spot_balance: bool = False
    """Tells what is in the spot wallet: a top-up is taken from what is there, and may be tried again."""
    positions_at_rest_s: float = 1.0
    """How often it asks clients to read positions while nothing is near and the stream tells of them."""
    lookup_delay_s: float
    """How long a new order may take to show in a look-up."""
