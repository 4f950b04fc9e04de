import gc

# All tests together make a large heap. To look through it as often as Python does of
# itself takes a tenth of their time.
gc.set_threshold(20_000)
