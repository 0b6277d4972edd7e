"""A model offered over HTTP, in the form that OpenAI's interface has made common."""
