"""The two streams of the field's networks: pictures, and the motion between them."""

STREAMS = ("rgb", "flow")
CHANNELS = {"rgb": 3, "flow": 2}
"""Values per pixel: red, green and blue; flow to the right and down."""
