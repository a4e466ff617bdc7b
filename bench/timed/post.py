"""A POST by requests with a session: a plain sample's call of Skycore."""

import os

import requests

from bench.timed.clock import measure

url = os.environ["SKYCORE_URL"]
session = requests.Session()
measure(lambda: session.post(url, data={"xml": "x" * 400}, timeout=15), 200)
