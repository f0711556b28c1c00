from .records import notes as notes
from .records import print_comparison as print_comparison
from .records import print_plan as print_plan
from .records import print_records as print_records
from .sweep import show_plan as show_plan
from .sweep import show_results as show_results
