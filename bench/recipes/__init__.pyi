from .comparison import Compared as Compared
from .measures import described_measures as described_measures
from .page import write_page as write_page
from .recipe import Claim as Claim
from .recipe import Recipe as Recipe
from .recipe import catalogue as catalogue
from .recipe import read_recipe as read_recipe
from .reproduce import Reproduced as Reproduced
