from ._base import Task as Task
from ._makers import TASKS as TASKS
from .modular import OPERATIONS as OPERATIONS
