"""What a GPU must compute correctly before it processes videos: flow and networks."""

from extract.flow.tvl1.solver import FLOW_SAMPLE
from extract.inference.backbone import NETWORK_SAMPLE

SAMPLES = (FLOW_SAMPLE, NETWORK_SAMPLE)
