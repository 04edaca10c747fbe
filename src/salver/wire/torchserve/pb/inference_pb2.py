"""The messages of `inference.proto`. Written by `scripts/protos`; do not edit."""

from salver.wire.protopool import load

DESCRIPTOR = load(
    b'\n)salver/wire/torchserve/pb/inference.proto\x12 org.pytorch.ser'
    b've.grpc.inference\x1a\x19google/protobuf/any.proto"\x9f\x02\n\x12Predictions'
    b'Request\x12\x1d\n\nmodel_name\x18\x01 \x01(\tR\tmodelName\x12#\n\rmodel_version\x18\x02 \x01('
    b'\tR\x0cmodelVersion\x12U\n\x05input\x18\x03 \x03(\x0b2?.org.pytorch.serve.grpc.infe'
    b'rence.PredictionsRequest.InputEntryR\x05input\x12$\n\x0bsequence_id\x18\x04 '
    b'\x01(\tH\x00R\nsequenceId\x88\x01\x01\x1a8\n\nInputEntry\x12\x10\n\x03key\x18\x01 \x01(\tR\x03key\x12\x14\n\x05valu'
    b'e\x18\x02 \x01(\x0cR\x05value:\x028\x01B\x0e\n\x0c_sequence_id"\xbc\x01\n\x12PredictionResponse\x12\x1e\n'
    b'\nprediction\x18\x01 \x01(\x0cR\nprediction\x12$\n\x0bsequence_id\x18\x02 \x01(\tH\x00R\nsequen'
    b'ceId\x88\x01\x01\x12E\n\x06status\x18\x03 \x01(\x0b2(.org.pytorch.serve.grpc.inference.S'
    b'tatusH\x01R\x06status\x88\x01\x01B\x0e\n\x0c_sequence_idB\t\n\x07_status"f\n\x06Status\x12\x12\n\x04c'
    b'ode\x18\x01 \x01(\x05R\x04code\x12\x18\n\x07message\x18\x02 \x01(\tR\x07message\x12.\n\x07details\x18\x03 \x03(\x0b2\x14'
    b'.google.protobuf.AnyR\x07details"2\n\x18TorchServeHealthResponse\x12\x16\n'
    b'\x06health\x18\x01 \x01(\tR\x06healthb\x06proto3',
    globals(),
)
