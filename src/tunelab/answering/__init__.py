"""A finished run, or a checkpoint as it is, ready to answer whoever asks, many at once."""

from tunelab.answering.answered import Answered, Candidate
from tunelab.answering.answerer import Answerer
from tunelab.answering.jobs import Writing
from tunelab.answering.listener import Piece, Reply
from tunelab.answering.loading import load_answerer

__all__ = ["Answered", "Answerer", "Candidate", "Piece", "Reply", "Writing", "load_answerer"]
