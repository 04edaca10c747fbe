"""Services of MMS 0.4 that run an MXNet model (mms/model_service/mxnet_model_service.py). Needs mxnet."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Mapping, Optional

import mxnet as mx

from mms.model_service.model_service import ModelService as ModelService
from mms.model_service.model_service import SingleNodeService as SingleNodeService
from mms.model_service.model_service import read_signature

_EPOCH = re.compile(r"-([0-9]+)\.params$")
_SYMBOL_END = "-symbol.json"


def check_input_shape(inputs: Any, signature: Mapping[str, Any]) -> None:
    """Asserts what the signature says: as many arrays, each with its dimensions; 0 is any size."""
    assert isinstance(inputs, list), "Input data must be a list."
    assert len(inputs) == len(signature["inputs"]), (
        "Input number mismatches with signature. %d expected but got %d."
        % (
            len(signature["inputs"]),
            len(inputs),
        )
    )
    for array, wanted in zip(inputs, signature["inputs"]):
        assert isinstance(array, mx.nd.NDArray), "Each input must be NDArray."
        shape = wanted["data_shape"]
        assert len(array.shape) == len(shape), (
            "Shape dimension of input %s mismatches with signature." % (wanted["data_name"])
        )
        for size, expected in list(zip(array.shape, shape))[1:]:
            assert expected in (0, size), "Input %s has different shape with signature. %s expected but got %s." % (
                wanted["data_name"],
                shape,
                array.shape,
            )


class MXNetBaseService(SingleNodeService):
    """Loads the symbol and the parameters that the manifest names, bound to the signature's shapes for one row."""

    def __init__(self, model_name: str, model_dir: str, manifest: Dict[str, Any], gpu: Optional[int] = None) -> None:
        super().__init__(model_name, model_dir, manifest, gpu)
        self.model_name = model_name
        self.ctx = mx.cpu() if gpu is None else mx.gpu(int(gpu))
        self._signature = read_signature(model_dir, manifest)
        self.param_filename = manifest["Model"].get("Parameters")
        epoch = _EPOCH.search(self.param_filename or "")
        symbol = manifest["Model"]["Symbol"][: -len(_SYMBOL_END)]
        prefix = os.path.join(model_dir, symbol)
        net, arguments, auxiliary = mx.model.load_checkpoint(prefix, int(epoch.group(1)) if epoch else 0)
        shapes = []
        for entry in self._signature["inputs"]:
            entry["data_shape"] = [size or 1 for size in entry["data_shape"]]
            entry["data_shape"][0] = 1
            shapes.append((entry["data_name"], tuple(entry["data_shape"])))
        self.mx_model = mx.mod.Module(
            symbol=net, context=self.ctx, data_names=[name for name, _ in shapes], label_names=None
        )
        self.mx_model.bind(for_training=False, data_shapes=shapes)
        self.mx_model.set_params(arguments, auxiliary, allow_missing=True, allow_extra=True)
        _read_labels(self, model_dir)

    def _preprocess(self, data: List[Any]) -> Any:
        return [mx.nd.array(item) for item in data]

    def _inference(self, data: Any) -> Any:
        check_input_shape(data, self.signature)
        self.mx_model.forward(mx.io.DataBatch([item.as_in_context(self.ctx) for item in data]))
        outputs = self.mx_model.get_outputs()
        for output in outputs:
            output.wait_to_read()
        return outputs

    def _postprocess(self, data: Any) -> Any:
        return [str(output.asnumpy().tolist()) for output in data]

    def ping(self) -> Any:
        return mx.__version__

    @property
    def signature(self) -> Any:
        return self._signature


class GluonImperativeBaseService(SingleNodeService):
    """Loads the parameters that the manifest names into a network of Gluon."""

    def __init__(
        self,
        model_name: str,
        model_dir: str,
        manifest: Dict[str, Any],
        net: Any = None,
        gpu: Optional[int] = None,
    ) -> None:
        super().__init__(model_name, model_dir, manifest, gpu)
        self.model_name = model_name
        self.ctx = mx.cpu() if gpu is None else mx.gpu(int(gpu))
        self.net = net
        self._signature = read_signature(model_dir, manifest)
        self.param_filename = manifest["Model"].get("Parameters")
        if self.param_filename and self.net is not None:
            self.net.load_parameters(os.path.join(model_dir, self.param_filename), ctx=self.ctx)
        _read_labels(self, model_dir)

    def _inference(self, data: Any) -> Any:
        check_input_shape(data, self.signature)

    def ping(self) -> Any:
        return mx.__version__

    @property
    def signature(self) -> Any:
        return self._signature


def _read_labels(service: Any, folder: str) -> None:
    path = os.path.join(folder, "synset.txt")
    if os.path.isfile(path):
        with open(path, encoding="utf-8") as file:
            service.labels = [line.strip() for line in file]
