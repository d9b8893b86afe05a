"""What each page shows, as frozen values: handlers fill them, templates read them.

Nothing here asks a database, a clock or a permission table; a view says only what it was given.
Every view names its template, its section of the navigation and the parts of its title.
"""
