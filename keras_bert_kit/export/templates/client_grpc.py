"""Asks the server over gRPC: python client_grpc.py TEXT... (needs tensorflow-serving-api)."""

import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

texts = sys.argv[1:] or ["$text"]
request = PredictRequest()
request.model_spec.name = "$name"
request.model_spec.signature_name = "serving_default"
request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts, tf.string))
with grpc.insecure_channel("localhost:8500") as channel:
    outputs = PredictionServiceStub(channel).Predict(request, timeout=30).outputs
for name, tensor in outputs.items():
    print(name, tf.make_ndarray(tensor), sep="\t")
