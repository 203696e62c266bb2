"""What the mirrors are made of, by hand; Keras's names themselves stand one folder up.

``mirror`` is the mechanism. What behaves specially (models, layers, tensors, optimizers) has a
file here; everything else in ``asyncbridge.models`` is generated from the installed Keras.
"""
