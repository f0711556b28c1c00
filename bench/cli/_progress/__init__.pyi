from .run import progress as progress
from .sweep import sweep_progress as sweep_progress
from .tune import search_display as search_display
