"""Asks the server over gRPC: python client_grpc.py $usage... (needs tensorflow-serving-api)."""

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

NAMES = ["$names"]

given = sys.argv[1:] or ["$values"]
request = PredictRequest()
request.model_spec.name = "$name"
request.model_spec.signature_name = "serving_default"
for place, name in enumerate(NAMES):
    column = tf.make_tensor_proto(given[place :: len(NAMES)], tf.string)
    request.inputs[name].CopyFrom(column)
with grpc.insecure_channel("localhost:8500") as channel:
    outputs = PredictionServiceStub(channel).Predict(request, timeout=30).outputs
for name, tensor in outputs.items():
    print(name, tf.make_ndarray(tensor), sep="\t")
