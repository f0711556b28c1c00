from ._base import Integers as Integers
from ._base import Maker as Maker
from ._base import Task as Task
from ._base import complete as complete
from ._base import sampled as sampled
from ._makers import TASKS as TASKS
from .modular import OPERATIONS as OPERATIONS
