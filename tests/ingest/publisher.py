"""Publishes numbered messages with QoS 1 by paho, reconnecting as often as needed.

Arguments: port, version (4 or 5), count, client id, "timed" or "untimed". Prints the number of each message that was
acknowledged, one a line, as soon as paho knows it.
"""

import json
import sys
import threading
import time

import paho.mqtt.client as mqtt

port, version, count, client_id, timed = sys.argv[1:6]
port, version, count, timed = int(port), int(version), int(count), timed == "timed"

protocol = mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311
# A session that outlives the connection: else MQTT 5 lets the client forget what was not acknowledged.
if version == 5:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
else:
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol, clean_session=False)
client.reconnect_delay_set(min_delay=0.05, max_delay=0.1)
client.max_queued_messages_set(0)

lock = threading.Condition()
number_of = {}
acknowledged = set()


def on_publish(client, userdata, mid, reason_code, properties):
    with lock:
        acknowledged.add(mid)
        lock.notify()


client.on_publish = on_publish
if version == 5:
    properties = mqtt.Properties(mqtt.PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 600
    client.connect("127.0.0.1", port, keepalive=45, clean_start=mqtt.MQTT_CLEAN_START_FIRST_ONLY, properties=properties)
else:
    client.connect("127.0.0.1", port, keepalive=45)
client.loop_start()

begin = time.time_ns()
for number in range(count):
    message = {"generatorID": client_id, "number": number}
    if timed:
        # An own clock, a millisecond a message.
        message["time"] = begin + number * 1_000_000
    info = client.publish(f"emergency_generator/{client_id}", json.dumps(message), qos=1)
    number_of[info.mid] = number
    if number % 50 == 49:
        time.sleep(0.01)

deadline = time.monotonic() + 90
with lock:
    while len(acknowledged) < count and time.monotonic() < deadline:
        lock.wait(0.2)
    for mid in sorted(acknowledged):
        print(number_of[mid])
client.disconnect()
client.loop_stop()
