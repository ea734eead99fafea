"""The archive without anybody at the keyboard: every job at its time, one after the other, for years.

``calendar`` says when something is due, ``memory`` keeps what ran (``scheduler.json``), ``agenda`` chooses what comes next,
``jobs`` holds what there is to do, ``running`` does it, ``telling`` says by e-mail how it went. The command is in ``cli``.
"""
