"""A client of the Skycore Messaging API (v1.3, XML).

    from skycore.client.client import SkycoreClient
    from skycore.client.request import Credentials

    with SkycoreClient(base_url, Credentials(api_key=key)) as skycore:
        reply = skycore.call("sendSMS", {"to": "+17743199144", "from": "60856", "text": "Hello"})
        print(reply.fields["tracking_id"])

Import names from the modules: only ``client`` needs requests, and only ``validation`` and
``numbers`` need the numbering plans.
"""
