"""Generated footage: moving actors before moving backgrounds, for the demo and its small network.

``worlds`` says how footage looks and moves, ``actors`` and ``backgrounds`` draw it, ``scene`` puts
one frame together, ``encode`` writes h264, ``timeline`` plans an untrimmed video, and
``collection`` writes a whole weakly labelled data set.
"""
