from .inside import inside_of as inside_of
from .pages import report as report
from .pictures import check_picture_of_records as check_picture_of_records
from .pictures import picture as picture
from .pictures import plot as plot
from .predictions import predictions_of as predictions_of
from .record import show as show
from .site import publish as publish
