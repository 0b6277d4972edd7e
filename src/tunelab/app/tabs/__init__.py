"""The four tabs of the page. Here is Gradio, and no logic."""
