"""tunelab: which way of fine-tuning should I use, what does it cost, and what does it break?"""

__version__ = "0.1.0"
