"""How the small models of the drawn world are made: recipes that run anywhere and end as the real libraries' own formats.

captioner       vision (the tower), tasks (prompts and answers), tokenizers → a PaliGemma
clip, coca      from the captioner's tower and hard_negatives → open_clip models
diffusion       autoencoder, text_encoder, denoiser → a StableDiffusionPipeline
language/       a treebank, WordNet and a grammar of captions → the spaCy pipeline
accuracy, curve how right captions are, and by how many human captions; reading: what a picture shows
recipe, stages  recipe files, and their stages in the loop of all trainers
"""
