from ._base import Task as Task
