"""For every test: how long an example takes says nothing of the code on a machine that does other work besides."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
