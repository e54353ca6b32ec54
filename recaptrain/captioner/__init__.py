"""The parts of `recaptrain captioner`: the human captions, the base, what it is fed, what watches it, what comes out.

settings   what is asked for, and what came of it
captions   keys and captions of a dataset, who is held out, pictures on disk
base       a model of transformers, its prompts, what of it is trained (all, all but the vision tower, LoRA)
answers    prompt and caption as tokens and labels, exactly as the finished captioner will be asked
task       the order of micro-batches, and the loss
watch      validation, sample captions, the best weights, when to stop
output     the merged model, its adapter, its card
"""
