"""The fields of Triton's ModelConfig, as model_config.proto has them, so that no descriptors are needed to read one.

A field is `name:type`; `*` before the type means repeated, braces a map with that type of value, `#` before the brace a
map whose keys are numbers, and a type with a lower first letter is a plain one. An enum is named with `=`.
"""

from __future__ import annotations

from typing import NamedTuple


class FieldType(NamedTuple):
    """What a field holds."""

    name: str
    """Of a plain type, an enum or a message."""
    is_enum: bool = False
    is_repeated: bool = False
    is_map: bool = False
    has_number_keys: bool = False

    @property
    def is_message(self) -> bool:
        return not self.is_enum and self.name[0].isupper()


def field_type(text: str) -> FieldType:
    has_number_keys, text = text.startswith("#"), text.removeprefix("#")
    is_map, text = text.startswith("{"), text.strip("{}")
    is_repeated, text = text.startswith("*"), text.removeprefix("*")
    return FieldType(text.removeprefix("="), text.startswith("="), is_repeated, is_map, has_number_keys)


_ROWS = {
    "ModelConfig": "name:string platform:string backend:string runtime:string version_policy:ModelVersionPolicy "
    "max_batch_size:int32 input:*ModelInput output:*ModelOutput batch_input:*BatchInput batch_output:*BatchOutput "
    "optimization:ModelOptimizationPolicy dynamic_batching:ModelDynamicBatching "
    "sequence_batching:ModelSequenceBatching ensemble_scheduling:ModelEnsembling instance_group:*ModelInstanceGroup "
    "default_model_filename:string cc_model_filenames:{string} metric_tags:{string} parameters:{ModelParameter} "
    "model_warmup:*ModelWarmup model_operations:ModelOperations model_transaction_policy:ModelTransactionPolicy "
    "model_repository_agents:ModelRepositoryAgents response_cache:ModelResponseCache model_metrics:ModelMetrics",
    "ModelVersionPolicy": "latest:Latest all:All specific:Specific",
    "Latest": "num_versions:uint32",
    "All": "",
    "Specific": "versions:*int64",
    "ModelInput": "name:string data_type:=DataType format:=Format dims:*int64 reshape:ModelTensorReshape "
    "is_shape_tensor:bool allow_ragged_batch:bool optional:bool is_non_linear_format_io:bool",
    "ModelTensorReshape": "shape:*int64",
    "ModelOutput": "name:string data_type:=DataType dims:*int64 reshape:ModelTensorReshape label_filename:string "
    "is_shape_tensor:bool is_non_linear_format_io:bool",
    "BatchInput": "kind:=BatchInputKind target_name:*string data_type:=DataType source_input:*string",
    "BatchOutput": "target_name:*string kind:=BatchOutputKind source_input:*string",
    "ModelOptimizationPolicy": "graph:Graph priority:=ModelPriority cuda:Cuda "
    "execution_accelerators:ExecutionAccelerators input_pinned_memory:PinnedMemoryBuffer "
    "output_pinned_memory:PinnedMemoryBuffer gather_kernel_buffer_threshold:uint32 eager_batching:bool",
    "Graph": "level:int32",
    "Cuda": "graphs:bool busy_wait_events:bool graph_spec:*GraphSpec output_copy_stream:bool",
    "GraphSpec": "batch_size:int32 input:{Shape} graph_lower_bound:LowerBound",
    "Shape": "dim:*int64",
    "LowerBound": "batch_size:int32 input:{Shape}",
    "ExecutionAccelerators": "gpu_execution_accelerator:*Accelerator cpu_execution_accelerator:*Accelerator",
    "Accelerator": "name:string parameters:{string}",
    "PinnedMemoryBuffer": "enable:bool",
    "ModelDynamicBatching": "preferred_batch_size:*int32 max_queue_delay_microseconds:uint64 preserve_ordering:bool "
    "priority_levels:uint64 default_priority_level:uint64 default_queue_policy:ModelQueuePolicy "
    "priority_queue_policy:#{ModelQueuePolicy}",
    "ModelQueuePolicy": "timeout_action:=TimeoutAction default_timeout_microseconds:uint64 "
    "allow_timeout_override:bool max_queue_size:uint32",
    "ModelSequenceBatching": "direct:StrategyDirect oldest:StrategyOldest max_sequence_idle_microseconds:uint64 "
    "control_input:*ControlInput state:*State iterative_sequence:bool",
    "StrategyDirect": "max_queue_delay_microseconds:uint64 minimum_slot_utilization:float",
    "StrategyOldest": "max_candidate_sequences:int32 preferred_batch_size:*int32 max_queue_delay_microseconds:uint64 "
    "preserve_ordering:bool",
    "ControlInput": "name:string control:*Control",
    "Control": "kind:=ControlKind int32_false_true:*int32 fp32_false_true:*float bool_false_true:*bool "
    "data_type:=DataType",
    "State": "input_name:string output_name:string data_type:=DataType dims:*int64 initial_state:*InitialState "
    "use_same_buffer_for_input_output:bool use_growable_memory:bool",
    "InitialState": "data_type:=DataType dims:*int64 zero_data:bool data_file:string name:string",
    "ModelEnsembling": "step:*Step max_inflight_requests:uint32",
    "Step": "model_name:string model_version:int64 input_map:{string} output_map:{string} model_namespace:string",
    "ModelInstanceGroup": "name:string kind:=InstanceKind count:int32 rate_limiter:ModelRateLimiter gpus:*int32 "
    "secondary_devices:*SecondaryDevice profile:*string passive:bool host_policy:string",
    "ModelRateLimiter": "resources:*Resource priority:uint32",
    "Resource": "name:string global:bool count:uint32",
    "SecondaryDevice": "kind:=SecondaryDeviceKind device_id:int64",
    "ModelParameter": "string_value:string",
    "ModelWarmup": "name:string batch_size:uint32 inputs:{WarmupInput} count:uint32",
    "WarmupInput": "data_type:=DataType dims:*int64 zero_data:bool random_data:bool input_data_file:string",
    "ModelOperations": "op_library_filename:*string",
    "ModelTransactionPolicy": "decoupled:bool",
    "ModelRepositoryAgents": "agents:*Agent",
    "Agent": "name:string parameters:{string}",
    "ModelResponseCache": "enable:bool",
    "ModelMetrics": "metric_control:*MetricControl",
    "MetricControl": "metric_identifier:MetricIdentifier histogram_options:HistogramOptions",
    "MetricIdentifier": "family:string",
    "HistogramOptions": "buckets:*double",
}
FIELDS: dict[str, dict[str, FieldType]] = {
    message: {name: field_type(kind) for name, _, kind in (row.partition(":") for row in rows.split())}
    for message, rows in _ROWS.items()
}
"""By message, its fields."""

_NAMES = {
    "DataType": "TYPE_INVALID TYPE_BOOL TYPE_UINT8 TYPE_UINT16 TYPE_UINT32 TYPE_UINT64 TYPE_INT8 TYPE_INT16 TYPE_INT32 "
    "TYPE_INT64 TYPE_FP16 TYPE_FP32 TYPE_FP64 TYPE_STRING TYPE_BF16",
    "Format": "FORMAT_NONE FORMAT_NHWC FORMAT_NCHW",
    "BatchInputKind": "BATCH_ELEMENT_COUNT BATCH_ACCUMULATED_ELEMENT_COUNT BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO "
    "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE BATCH_ITEM_SHAPE BATCH_ITEM_SHAPE_FLATTEN",
    "BatchOutputKind": "BATCH_SCATTER_WITH_INPUT_SHAPE",
    "ModelPriority": "PRIORITY_DEFAULT PRIORITY_MAX PRIORITY_MIN",
    "TimeoutAction": "REJECT DELAY",
    "ControlKind": "CONTROL_SEQUENCE_START CONTROL_SEQUENCE_READY CONTROL_SEQUENCE_END CONTROL_SEQUENCE_CORRID",
    "InstanceKind": "KIND_AUTO KIND_GPU KIND_CPU KIND_MODEL",
    "SecondaryDeviceKind": "KIND_NVDLA",
}
ENUMS: dict[str, dict[str, int]] = {
    enum: {name: number for number, name in enumerate(names.split())} for enum, names in _NAMES.items()
}
"""By enum, its names and their numbers."""

ONE_OF: dict[str, tuple[str, ...]] = {
    "ModelConfig": ("dynamic_batching", "sequence_batching", "ensemble_scheduling"),
    "ModelVersionPolicy": ("latest", "all", "specific"),
    "ModelSequenceBatching": ("direct", "oldest"),
    "WarmupInput": ("zero_data", "random_data", "input_data_file"),
    "InitialState": ("zero_data", "data_file"),
}
"""Fields of which a message may have one at most."""
