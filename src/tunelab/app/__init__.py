"""The web page of tunelab: ask runs, teach them, compare them, look at their data.

What happens stands here as functions of plain values; `tabs` alone knows Gradio.
"""
