"""Decode and its kernels measured on one GPU with PyTorch: rows in the form that ``dse validate`` reads.

Never imported by the package; needs PyTorch (``pip install '.[gpu]'``). ``measure.py`` is the door.
"""
