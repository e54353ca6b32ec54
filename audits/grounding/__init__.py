"""Claims × evidence → verdicts, and what of the evidence a caption left out."""
