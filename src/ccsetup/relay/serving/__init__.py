"""A request on its way: who asks, which upstream answers, and how the answer gets back."""
