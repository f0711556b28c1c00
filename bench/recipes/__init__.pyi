from .comparison import Compared as Compared
from .recipe import Claim as Claim
from .recipe import Recipe as Recipe
from .recipe import catalogue as catalogue
from .recipe import read_recipe as read_recipe
from .reproduce import Reproduced as Reproduced
