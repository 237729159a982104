"""Parts of the mini CLIP pretraining: glyphs from fonts, images, captions, training and evaluation."""
