"""What KServe's own clients ask of a server; run by an interpreter that has them: ADDRESS GRPC_ADDRESS. Prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

ROW = np.array([[1, 2, 3, 4]], np.float32)


def request(model: str, *, is_binary: bool) -> InferRequest:
    tensor = InferInput(name="x", shape=list(ROW.shape), datatype="FP32")
    tensor.set_data_from_numpy(ROW, binary_data=is_binary)
    return InferRequest(model_name=model, request_id="7", infer_inputs=[tensor])


def told(response: Any) -> Any:
    (output,) = response.outputs
    return [response.id, response.model_name, output.as_numpy().tolist()]


async def over_rest(url: str) -> dict[str, Any]:
    client = InferenceRESTClient(config=RESTConfig(protocol="v2", retries=0))
    try:
        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model_ready": await client.is_model_ready(url, "line"),
            "typed": told(await client.infer(url, request("line", is_binary=False), model_name="line")),
            "raw": told(await client.infer(url, request("line", is_binary=True), model_name="line")),
            "error": await refused(client.infer(url, request("none", is_binary=False), model_name="none")),
        }
    finally:
        await client.close()


async def over_grpc(address: str) -> dict[str, Any]:
    client = InferenceGRPCClient(url=address, retries=0)
    try:
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready("line"),
            "typed": told(await client.infer(request("line", is_binary=False))),
            "raw": told(await client.infer(request("line", is_binary=True))),
            "error": await refused(client.infer(request("none", is_binary=False))),
        }
    finally:
        await client.close()


async def refused(call: Any) -> str:
    try:
        await call
    except Exception as error:
        return str(error)
    return "nothing"


async def main() -> None:
    rest, grpc = sys.argv[1:]
    print(json.dumps({"rest": await over_rest(rest), "grpc": await over_grpc(grpc)}))


asyncio.run(main())
