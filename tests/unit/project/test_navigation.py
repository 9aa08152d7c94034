"""Each page of the documentation has its place on the site."""

from website.pages import pages
from website.reference import PAGES
from website.staging import check_navigation


def test_each_page_is_in_the_navigation_once_and_nothing_else_is():
    check_navigation({*pages().values(), *PAGES})
