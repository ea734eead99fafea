"""Letting the computer itself start the regular jobs: cron, systemd, launchd, or the Task Scheduler of Windows.

``plan`` says what is started when, ``cron``, ``systemd``, ``launchd`` and ``windows`` write it in each one's own words, and
install it; each touches only what it marked as its own. ``programs`` runs the system's programs, without a shell.
"""
