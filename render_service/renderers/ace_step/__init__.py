"""ACE-Step 1.5 through diffusers: a second implementation of the Renderer protocol. Needs the extra ``ace-step``.

Read in this order: folder (what is loaded and how it is checked), conditions (text and persona as the model reads them),
stack (the renderer). docs/checkpoint.md lists which fields of a brief it honours.
"""
