import gc
import signal

# All tests together make a large heap. To look through it as often as Python does of
# itself takes a tenth of their time.
gc.set_threshold(20_000)

# A script's shell has what runs in the background ignore it, and so do all programs
# that are started there, of which some tests want to see how they are interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
