"""Why a plan is as it is, told by what doing otherwise would cost."""
