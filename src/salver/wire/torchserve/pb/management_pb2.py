"""The messages of `management.proto`. Written by `scripts/protos`; do not edit."""

from salver.wire.protopool import load

DESCRIPTOR = load(
    b'\n*salver/wire/torchserve/pb/management.proto\x12!org.pytorch.se'
    b'rve.grpc.management"&\n\x12ManagementResponse\x12\x10\n\x03msg\x18\x01 \x01(\tR\x03msg"'
    b'z\n\x14DescribeModelRequest\x12\x1d\n\nmodel_name\x18\x01 \x01(\tR\tmodelName\x12#\n\rmo'
    b'del_version\x18\x02 \x01(\tR\x0cmodelVersion\x12\x1e\n\ncustomized\x18\x03 \x01(\x08R\ncustomi'
    b'zed"Q\n\x11ListModelsRequest\x12\x14\n\x05limit\x18\x01 \x01(\x05R\x05limit\x12&\n\x0fnext_page_'
    b'token\x18\x02 \x01(\x05R\rnextPageToken"\xff\x02\n\x14RegisterModelRequest\x12\x1d\n\nbatch'
    b"_size\x18\x01 \x01(\x05R\tbatchSize\x12\x18\n\x07handler\x18\x02 \x01(\tR\x07handler\x12'\n\x0finitial_"
    b'workers\x18\x03 \x01(\x05R\x0einitialWorkers\x12&\n\x0fmax_batch_delay\x18\x04 \x01(\x05R\rmaxB'
    b'atchDelay\x12\x1d\n\nmodel_name\x18\x05 \x01(\tR\tmodelName\x12)\n\x10response_timeout'
    b'\x18\x06 \x01(\x05R\x0fresponseTimeout\x12\x18\n\x07runtime\x18\x07 \x01(\tR\x07runtime\x12 \n\x0bsynchro'
    b'nous\x18\x08 \x01(\x08R\x0bsynchronous\x12\x10\n\x03url\x18\t \x01(\tR\x03url\x12\x1c\n\ns3_sse_kms\x18\n \x01('
    b'\x08R\x08s3SseKms\x12\'\n\x0fstartup_timeout\x18\x0b \x01(\x05R\x0estartupTimeout"\xf1\x01\n\x12Sca'
    b'leWorkerRequest\x12\x1d\n\nmodel_name\x18\x01 \x01(\tR\tmodelName\x12#\n\rmodel_vers'
    b'ion\x18\x02 \x01(\tR\x0cmodelVersion\x12\x1d\n\nmax_worker\x18\x03 \x01(\x05R\tmaxWorker\x12\x1d\n\nmi'
    b'n_worker\x18\x04 \x01(\x05R\tminWorker\x12\x1d\n\nnumber_gpu\x18\x05 \x01(\x05R\tnumberGpu\x12 \n\x0b'
    b'synchronous\x18\x06 \x01(\x08R\x0bsynchronous\x12\x18\n\x07timeout\x18\x07 \x01(\x05R\x07timeout"W\n\x11'
    b'SetDefaultRequest\x12\x1d\n\nmodel_name\x18\x01 \x01(\tR\tmodelName\x12#\n\rmodel_ve'
    b'rsion\x18\x02 \x01(\tR\x0cmodelVersion"\\\n\x16UnregisterModelRequest\x12\x1d\n\nmodel'
    b'_name\x18\x01 \x01(\tR\tmodelName\x12#\n\rmodel_version\x18\x02 \x01(\tR\x0cmodelVersionb'
    b'\x06proto3',
    globals(),
)
